import { pathOf } from './request-target.ts';

/** The built-in rules; `default` in the setting stands for them. */
export const DEFAULT_QUIET =
  'UptimeRobot, Pingdom, StatusCake, Better Stack, BetterUptime, Site24x7, HetrixTools, updown.io, Uptime-Kuma, Freshping, Checkly, ' +
  'Blackbox Exporter, kube-probe, GoogleHC, ELB-HealthChecker, Consul Health Check, ' +
  '/favicon.ico, /robots.txt, /apple-touch-icon*, /.well-known/security.txt';

/**
 * Requests that never wake a sleeper and do not keep one awake, by `QUIET`: comma-separated, each either a path (`/robots.txt`;
 * `*` at its end stands for the rest) or a piece of a User-Agent, in whatever case. `default` adds the built-in rules, `off`
 * alone means none.
 */
export class QuietRules {
  readonly #paths = new Set<string>();
  readonly #pathStarts: string[] = [];
  readonly #agents: string[] = [];
  /** Clients have few User-Agents and send them often. */
  readonly #knownAgents = new Map<string, boolean>();

  constructor(setting: string) {
    const written = setting === 'off' ? '' : setting.replace(/(^|,)\s*default\s*(?=,|$)/i, `$1${DEFAULT_QUIET}`);
    for (const rule of written.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '')) {
      if (!rule.startsWith('/')) this.#agents.push(rule.toLowerCase());
      else if (rule.endsWith('*')) this.#pathStarts.push(rule.slice(0, -1));
      else this.#paths.add(rule);
    }
  }

  /** Asked for every request, so it makes nothing. */
  match(url: string, userAgent: string | undefined): boolean {
    const path = pathOf(url);
    if (this.#paths.has(path)) return true;
    for (const start of this.#pathStarts) if (path.startsWith(start)) return true;
    return userAgent !== undefined && this.#matchesAgent(userAgent);
  }

  #matchesAgent(userAgent: string): boolean {
    const known = this.#knownAgents.get(userAgent);
    if (known !== undefined) return known;
    const lower = userAgent.toLowerCase();
    const matches = this.#agents.some((agent) => lower.includes(agent));
    if (userAgent.length > LONGEST_KEPT) return matches;
    if (this.#knownAgents.size >= MOST_AGENTS) this.#knownAgents.clear();
    this.#knownAgents.set(userAgent, matches);
    return matches;
  }
}

const MOST_AGENTS = 1_000;
/** Characters; nobody's are longer but of who wants to fill the memory. */
const LONGEST_KEPT = 512;
