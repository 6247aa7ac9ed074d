import { z } from 'zod';

/** Stands for a password that is kept: what readers are shown, and what writers send back to leave it as it is. */
export const KEPT_PASSWORD = '***';

/** How pipes keeps a password: a PHC string of scrypt, within costs that a login may have. */
export const PASSWORD_HASH = /^\$scrypt\$ln=(1[0-7]),r=8,p=([1-9])\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43})$/;

/** What crypt(3), htpasswd and their like write. Taken for a password it would lock everybody out. */
const OTHER_HASH = /^(?:\$[a-z0-9-]{1,12}\$|\{[A-Z0-9-]+\})/i;

const LEAST_PASSWORD = 8;

const UserName = z.string().regex(/^[^:\x00-\x1f\x7f]{1,255}$/, 'must be a name without colon and control characters');

const Password = z
  .string()
  .max(1024)
  .refine((text) => text === KEPT_PASSWORD || PASSWORD_HASH.test(text) || !OTHER_HASH.test(text), 'is a hash that pipes does not read; give the password itself, and pipes keeps its hash')
  .refine(costsLittle, 'is a hash that takes too long to check; N times p may be 131072 (ln=17,p=1) at most')
  .refine((text) => text === KEPT_PASSWORD || text.length >= LEAST_PASSWORD, `must have at least ${LEAST_PASSWORD} characters`)
  .refine((text) => !/[\x00-\x1f\x7f]/.test(text), 'must not hold control characters')
  .describe('A password; it is kept as its scrypt hash, and shown as ***');

/** Fields that say how a message travels, or that pipes vouches for itself. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  'connection', 'content-length', 'expect', 'forwarded', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'via',
  'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-pipes-token', 'x-request-id',
]);

const FieldName = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,128}$/, 'must be the name of a header, of letters, digits and -')
  .refine((name) => !NOT_COPIED.has(name.toLowerCase()) && !/^proxy-/i.test(name), 'is a header that pipes writes itself');

/**
 * Who may visit a target (INTERFACE 4): everybody, who has a token of pipes that may read its repository, who knows one of some
 * passwords, or whom another service lets in.
 */
export const Access = z.union(
  [
    z.enum(['public', 'token']),
    z.strictObject({
      basic: z
        .record(UserName, Password)
        .refine((users) => Object.keys(users).length > 0, 'must name at least one user')
        .refine((users) => Object.keys(users).length <= 100, 'must name at most 100 users'),
    }),
    z.strictObject({
      forward: z.strictObject({
        url: z.string().max(2048).refine(isPlainAddress, 'must be an http or https address without user, password and #'),
        headers: z.array(FieldName).max(32).optional(),
      }),
    }),
  ],
  'must be "public", "token", {"basic": {"<user>": "<password>"}} or {"forward": {"url": "…"}}',
);

export type Access = z.infer<typeof Access>;

/** Everything but `public`. */
export type GuardedAccess = Exclude<Access, 'public'>;

/** One core checks the passwords of all apps, so none may keep it busy. The sets of parameters that OWASP names for scrypt are within this. */
function costsLittle(text: string): boolean {
  const [, ln, p] = PASSWORD_HASH.exec(text) ?? [];
  return ln === undefined || 2 ** Number(ln) * Number(p) <= 2 ** 17;
}

function isPlainAddress(text: string): boolean {
  if (!URL.canParse(text) || text.includes('#')) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === '';
}

/** The same without what nobody may see again. */
export function maskedAccess(access: Access): Access {
  if (typeof access === 'string' || !('basic' in access)) return access;
  return { basic: Object.fromEntries(Object.keys(access.basic).map((name) => [name, KEPT_PASSWORD])) };
}
