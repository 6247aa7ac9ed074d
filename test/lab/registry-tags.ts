const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

/** Has one tag of a repository mean what another means, in the registry alone: no engine is touched. Gives the digest. */
export async function moveTag(registry: string, repository: string, tag: string, meant: string): Promise<string> {
  const url = `http://${registry}/v2/${repository}/manifests/`;
  const signal = AbortSignal.timeout(10_000);
  const found = await fetch(`${url}${meant}`, { headers: { Accept: MANIFEST }, signal });
  if (!found.ok) throw new Error(`${repository}:${meant}: ${found.status}`);
  const put = await fetch(`${url}${tag}`, { method: 'PUT', headers: { 'Content-Type': MANIFEST }, body: await found.text(), signal });
  if (!put.ok) throw new Error(`${repository}:${tag}: ${put.status} ${await put.text()}`);
  return put.headers.get('docker-content-digest') ?? '';
}
