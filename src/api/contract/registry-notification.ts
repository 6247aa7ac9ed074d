import { z } from 'zod';

/** A push of a tag, as the registry names the two: without its own host, and with all of the path (`team/alice/web`). */
export interface TagPush {
  readonly repository: string;
  readonly tag: string;
  /** Of the manifest, where it is told. */
  readonly digest?: string | undefined;
}

/** What one notification says. */
export interface RegistryNotification {
  /** Each tag once. */
  readonly pushes: readonly TagPush[];
  /** Events in it that move no tag: pulls, deletions, pushes of layers. */
  readonly ignored: number;
}

/** Docker's registry, "Notifications". What is not asked for here may be there, in whatever form. */
const DistributionEvent = z.object({
  action: z.string(),
  target: z.object({ mediaType: z.string().optional(), repository: z.string().optional(), tag: z.string().optional(), digest: z.string().optional() }).optional(),
});
const DistributionEnvelope = z.object({ events: z.array(DistributionEvent) });

/** Docker Hub, "Webhooks". */
const HubPush = z.object({ push_data: z.object({ tag: z.string().min(1) }), repository: z.object({ repo_name: z.string().min(1) }) });

/** GitHub, "Webhook events and payloads": `registry_package`, and its older form `package`. */
const GitHubPackage = z.object({
  name: z.string().min(1),
  namespace: z.string().optional(),
  owner: z.object({ login: z.string() }).optional(),
  package_type: z.string(),
  package_version: z.object({ container_metadata: z.object({ tag: z.object({ name: z.string().optional(), digest: z.string().optional() }).nullish() }).nullish() }).nullish(),
});
const GitHubEvent = z.object({ action: z.string(), registry_package: GitHubPackage.optional(), package: GitHubPackage.optional() });
const GitHubPing = z.object({ zen: z.string(), hook_id: z.number() });

/** Any body that `readNotification` takes, for the API's description. */
export const RegistryNotificationBody = z.union([DistributionEnvelope, HubPush, GitHubEvent, GitHubPing]);

/** What is answered at once. */
export const PushesNoted = z.object({
  /** References that are compared with the registry now, and replaced where the tag has moved. */
  refreshing: z.array(z.string()),
  /** References that sleep, and are compared right after their next wake. */
  atNextWake: z.array(z.string()),
  ignored: z.number(),
});
export type PushesNoted = z.infer<typeof PushesNoted>;

/** What the body tells; undefined when it is of none of the kinds that pipes knows. */
export function readNotification(body: unknown): RegistryNotification | undefined {
  const envelope = DistributionEnvelope.safeParse(body);
  if (envelope.success) return distributionPushes(envelope.data);
  const hub = HubPush.safeParse(body);
  if (hub.success) return { pushes: [{ repository: withLibrary(hub.data.repository.repo_name), tag: hub.data.push_data.tag }], ignored: 0 };
  if (GitHubPing.safeParse(body).success) return { pushes: [], ignored: 1 };
  const event = GitHubEvent.safeParse(body);
  const container = event.data?.registry_package ?? event.data?.package;
  return event.success && container ? gitHubPush(event.data.action, container) : undefined;
}

function distributionPushes({ events }: z.infer<typeof DistributionEnvelope>): RegistryNotification {
  const pushes = new Map<string, TagPush>();
  let ignored = 0;
  for (const { action, target } of events) {
    const { repository, tag, mediaType, digest } = target ?? {};
    if (action === 'push' && repository && tag && isManifest(mediaType)) pushes.set(`${repository}:${tag}`, { repository, tag, digest });
    else ignored += 1;
  }
  return { pushes: [...pushes.values()], ignored };
}

function gitHubPush(action: string, { name, namespace, owner, package_type, package_version }: z.infer<typeof GitHubPackage>): RegistryNotification {
  const { name: tag, digest } = package_version?.container_metadata?.tag ?? {};
  const user = namespace ?? owner?.login;
  // Versions without a tag are the parts of an image for several platforms.
  if (!tag || !user || package_type.toLowerCase() !== 'container' || (action !== 'published' && action !== 'updated')) return { pushes: [], ignored: 1 };
  return { pushes: [{ repository: `${user}/${name}`.toLowerCase(), tag, digest }], ignored: 0 };
}

/** Docker's and OCI's manifests, and their lists. */
function isManifest(mediaType: string | undefined): boolean {
  return mediaType === undefined || /manifest|image\.index/.test(mediaType);
}

/** Docker Hub leaves out the user of its official images. */
function withLibrary(name: string): string {
  return name.includes('/') ? name : `library/${name}`;
}
