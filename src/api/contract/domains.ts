import { z } from 'zod';
import { asciiDomain, domainFault } from '../../targets/domain-name.ts';

/** More names of one app are a mistake, or somebody who collects them. */
const MOST_DOMAINS = 100;

const Domain = z.string().superRefine((text, context) => {
  const fault = domainFault(text);
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
});

/** The host names that are bound to a `user/repo`, without those that its name gives it anyway. */
export const Domains = z.strictObject({
  domains: z
    .array(Domain)
    .max(MOST_DOMAINS, `must not be more than ${MOST_DOMAINS}`)
    .superRefine((texts, context) => {
      const seen = new Set<string>();
      for (const [index, text] of texts.entries()) {
        const domain = asciiDomain(text);
        if (seen.has(domain)) context.addIssue({ code: 'custom', path: [index], message: 'stands there twice' });
        seen.add(domain);
      }
    }),
});

export type Domains = z.infer<typeof Domains>;
