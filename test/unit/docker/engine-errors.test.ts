import { describe, expect, it } from 'vitest';
import { engineError, engineText, pullError } from '../../../src/docker/engine-errors.ts';

/** As docker-modem throws an answer. */
function answered(statusCode: number, message: string): Error {
  return Object.assign(new Error(`(HTTP code ${statusCode}) server error - ${message} `), { statusCode, json: { message } });
}
function socket(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

describe('engineError', () => {
  it.each(['ENOENT', 'ECONNREFUSED', 'EACCES', 'ECONNRESET', 'EPIPE', 'ENOTFOUND'])('takes %s for an engine that cannot be reached', (code) => {
    expect(engineError(socket(code), 'unix:///x')).toMatchObject({ code: 'engine_unavailable', status: 503 });
  });

  // The texts are those of Docker 20.10 and of runc 1.1, as measured.
  it.each([
    [new Error('socket hang up'), 'engine_unavailable'],
    [answered(500, 'write /var/lib/docker/tmp/x: no space left on device'), 'disk_full'],
    [answered(404, 'No such image: alice/web:main'), 'image_not_found'],
    [answered(400, 'No command specified'), 'image_unusable'],
    [answered(400, 'OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "/nope": stat /nope: no such file or directory: unknown'), 'image_unusable'],
    [answered(400, 'failed to create shim task: OCI runtime create failed: exec: "x": executable file not found in $PATH: unknown'), 'image_unusable'],
    [answered(500, 'standard_init_linux.go:228: exec user process caused: exec format error'), 'image_unusable'],
    [answered(400, 'unable to find user nobody2: no matching entries in passwd file'), 'image_unusable'],
    [answered(400, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'), 'image_unusable'],
    [answered(400, 'invalid mount config for type "bind": bind source path does not exist: /nope'), 'image_unusable'],
    [answered(404, 'network 0123 not found'), 'engine_unavailable'],
    [answered(500, 'context canceled'), 'engine_unavailable'],
    [answered(503, '<html>no server is available</html>'), 'engine_unavailable'],
    [answered(500, 'something nobody has seen before'), 'engine_unavailable'],
    [answered(418, 'something nobody has seen before'), 'engine_unavailable'],
    [answered(400, 'something that pipes asked wrongly'), 'internal'],
    [socket('HPE_INVALID_HEADER_TOKEN'), 'engine_unavailable'],
  ])('translates %s', (thrown, code) => {
    const error = engineError(thrown, 'unix:///x');
    expect(error).toMatchObject({ name: 'PipesError', code });
    expect(error.cause).toBe(thrown);
  });

  it('keeps the engine\'s words for insiders, and out of the message', () => {
    const error = engineError(answered(500, 'secret path /x is broken'), 'unix:///x');
    expect(error.privateDetail).toEqual(['secret path /x is broken']);
    expect(error.message).not.toContain('secret');
  });

  it('reads the engine\'s text', () => {
    expect(engineText(answered(500, 'a - b'))).toBe('a - b');
    expect(engineText(Object.assign(new Error('(HTTP code 409) unexpected - Conflict - more '), { statusCode: 409 }))).toBe('Conflict - more');
    expect(engineText('text')).toBe('text');
  });
});

describe('pullError', () => {
  it.each([
    [answered(404, 'manifest for 127.0.0.1:5000/a/b:c not found: manifest unknown: manifest unknown'), 'image_not_found'],
    [answered(404, 'pull access denied for alice/web, repository does not exist or may require \'docker login\': denied: requested access to the resource is denied'), 'registry_denied'],
    [answered(500, 'Head "http://127.0.0.1:5000/v2/a/b/manifests/c": no basic auth credentials'), 'registry_denied'],
    [answered(500, 'Get "https://registry-1.docker.io/v2/": unauthorized: incorrect username or password'), 'registry_denied'],
    [answered(500, 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host'), 'registry_unavailable'],
    [answered(500, 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'), 'registry_unavailable'],
    [answered(500, 'Get "https://x/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)'), 'registry_unavailable'],
    [answered(500, 'Get "https://x/v2/": context deadline exceeded'), 'registry_unavailable'],
    [answered(500, 'Get "https://x/v2/": x509: certificate signed by unknown authority'), 'registry_unavailable'],
    [new Error('toomanyrequests: You have reached your pull rate limit'), 'registry_unavailable'],
    [new Error('write /data/tmp/GetImageBlob1: no space left on device'), 'disk_full'],
    [new Error('no matching manifest for linux/amd64 in the manifest list entries'), 'image_unusable'],
    [new Error('connection reset by peer'), 'registry_unavailable'],
    [new Error('something else'), 'registry_unavailable'],
    [socket('ECONNREFUSED'), 'engine_unavailable'],
  ])('translates %s', (thrown, code) => {
    expect(pullError(thrown, 'unix:///x', 'alice/web:main')).toMatchObject({ name: 'PipesError', code });
  });
});
