import { Door } from '../../src/proxy/door.ts';
import type { AccessSource } from '../../src/proxy/host-cache.ts';

/** Every target is public. */
export const ALL_PUBLIC: AccessSource = { revision: 0, accessOf: () => 'public' };

/** A door that nobody comes to, since all is public. */
export const OPEN_DOOR = new Door({
  visitors: { admit: () => Promise.reject(new Error('nothing is guarded here')) },
  isTrusted: () => false,
  isOwnToken: () => false,
});
