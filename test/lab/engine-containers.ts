import { engineHttp, type EngineAnswer } from './engine-http.ts';

/** As much as the tests read of what the engine tells of a container (Docker Engine API, `GET /containers/{id}/json`). */
export interface InspectedContainer {
  readonly Id: string;
  readonly Name: string;
  readonly RestartCount: number;
  readonly State: { readonly Status: string; readonly Running: boolean; readonly Paused: boolean; readonly Pid: number; readonly StartedAt: string; readonly ExitCode: number };
  readonly Config: { readonly Labels: Readonly<Record<string, string>>; readonly Env: readonly string[] | null };
  readonly HostConfig: {
    readonly Memory: number;
    readonly MemorySwap: number;
    readonly NanoCpus: number;
    readonly PidsLimit: number | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly NetworkMode: string;
    readonly PortBindings: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[]>> | null;
    readonly LogConfig: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
  };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
  readonly Mounts: readonly { readonly Name?: string; readonly Destination: string }[];
}

/** The containers of an engine, as someone at its command line sees and treats them: behind pipes' back. */
export class EngineContainers {
  readonly #dockerHost: string;

  constructor(dockerHost: string) {
    this.#dockerHost = dockerHost;
  }

  /** Ids of all that any pipes made for this reference, whatever their state. */
  async of(reference: string): Promise<string[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [`pipes.reference=${reference}`] }));
    const listed = (await this.#call('GET', `/containers/json?all=true&filters=${filters}`)).json() as { Id: string }[];
    return listed.map(({ Id }) => Id);
  }

  /** The one container of this reference. Throws when there is none or there are several. */
  async only(reference: string): Promise<InspectedContainer> {
    const ids = await this.of(reference);
    if (ids.length !== 1) throw new Error(`${reference} has ${ids.length} containers, not one`);
    return await this.inspect(ids[0]!);
  }

  async inspect(id: string): Promise<InspectedContainer> {
    return (await this.#call('GET', `/containers/${id}/json`)).json() as InspectedContainer;
  }

  async exists(id: string): Promise<boolean> {
    return (await engineHttp(this.#dockerHost, `/containers/${id}/json`)).status === 200;
  }

  /** Its address in the one network that it is in. */
  async address(id: string): Promise<string> {
    const [network] = Object.values((await this.inspect(id)).NetworkSettings.Networks);
    return network?.IPAddress ?? '';
  }

  /** Starts a container as `docker run -d` does. Gives its id. */
  async run(image: string, body: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const { Id } = (await this.#call('POST', '/containers/create', { Image: image, ...body })).json() as { Id: string };
    await this.start(Id);
    return Id;
  }

  async start(id: string): Promise<void> {
    await this.#call('POST', `/containers/${id}/start`);
  }

  async stop(id: string, graceS = 1): Promise<void> {
    await this.#call('POST', `/containers/${id}/stop?t=${graceS}`);
  }

  async restart(id: string): Promise<void> {
    await this.#call('POST', `/containers/${id}/restart?t=1`);
  }

  async kill(id: string): Promise<void> {
    await this.#call('POST', `/containers/${id}/kill`);
  }

  async pause(id: string): Promise<void> {
    await this.#call('POST', `/containers/${id}/pause`);
  }

  async unpause(id: string): Promise<void> {
    await this.#call('POST', `/containers/${id}/unpause`);
  }

  /** `docker rm -f -v`; one that is gone is fine. */
  async remove(id: string): Promise<void> {
    await engineHttp(this.#dockerHost, `/containers/${id}?force=true&v=true`, { method: 'DELETE' });
  }

  /** Its output so far, both streams, without the engine's framing. */
  async logs(id: string): Promise<string> {
    const { body } = await this.#call('GET', `/containers/${id}/logs?stdout=true&stderr=true`);
    const parts: Buffer[] = [];
    for (let at = 0; at + 8 <= body.length; at += 8 + body.readUInt32BE(at + 4)) parts.push(body.subarray(at + 8, at + 8 + body.readUInt32BE(at + 4)));
    return Buffer.concat(parts).toString();
  }

  /** Runs a command in it to its end, as `docker exec` does. Gives what it printed and its exit code. */
  async exec(id: string, command: readonly string[], user = ''): Promise<{ output: string; exitCode: number }> {
    const { Id } = (await this.#call('POST', `/containers/${id}/exec`, { Cmd: command, User: user, AttachStdout: true, AttachStderr: true, Tty: true })).json() as { Id: string };
    const output = (await this.#call('POST', `/exec/${Id}/start`, { Detach: false, Tty: true })).text();
    const { ExitCode } = (await this.#call('GET', `/exec/${Id}/json`)).json() as { ExitCode: number };
    return { output, exitCode: ExitCode };
  }

  async #call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<EngineAnswer> {
    const answer = await engineHttp(this.#dockerHost, path, { method, ...(body === undefined ? {} : { body }) });
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.text().trim()}`);
    return answer;
  }
}
