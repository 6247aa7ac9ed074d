import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { domainFault } from '../targets/domain-name.ts';
import { makeReference, parseReference, printReference } from '../targets/reference.ts';
import { TargetConfig } from '../targets/target-config.ts';
import { STATE_VERSION } from './migrations.ts';

/** All that persists, as `pipes.json` holds it. An unknown key is an error: to write the file back would lose it. */
export const State = z.strictObject({
  version: z.literal(STATE_VERSION),
  /** Marks the containers of this pipes (label `pipes.owner`). */
  owner: z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hex digits'),
  /** By `user/repo:tag`. */
  containers: z.record(z.string().refine(isReference, 'must be user/repo:tag'), TargetConfig),
  /** By `user/repo`. */
  repositories: z.record(z.string().refine(isRepository, 'must be user/repo'), TargetConfig),
  tokens: z.array(
    z.strictObject({
      name: z.string().min(1),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits'),
      scopes: z.array(z.string().min(1)),
      createdAt: z.iso.datetime(),
      expiresAt: z.iso.datetime().optional(),
    }),
  ),
  /** Images that pipes pulled, so that `IMAGE_DISK` removes no others. */
  images: z.array(z.strictObject({ name: z.string().min(1), id: z.string().min(1), pullMs: z.number().min(0), lastUsedAtMs: z.number() })),
  /** Host name → the `user/repo` that it is bound to. */
  domains: z.record(z.string().refine((name) => domainFault(name) === undefined, 'must be a host name'), z.string().refine(isRepository, 'must be user/repo')),
});

function isRepository(text: string): boolean {
  const [user = '', repo = '', ...rest] = text.split('/');
  return rest.length === 0 && makeReference(user, repo) !== undefined;
}

export type State = z.infer<typeof State>;

function isReference(key: string): boolean {
  try {
    return printReference(parseReference(key)) === key;
  } catch {
    return false;
  }
}

/** What a first start begins with. */
export function firstState(): State {
  return { version: STATE_VERSION, owner: randomBytes(8).toString('hex'), containers: {}, repositories: {}, tokens: [], images: [], domains: {} };
}
