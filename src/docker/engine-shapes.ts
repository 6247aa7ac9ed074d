import { z } from 'zod';

/**
 * As much as pipes reads of what engines answer (Docker Engine API 1.40 to 1.47), by the names of dockerode's types. What engines
 * leave out or write as null is settled here; an answer that does not fit is no answer. Other keys stay as they came.
 */

/** Goes into paths of further calls, so it holds nothing that means something there. */
const id = z.string().regex(/^[A-Za-z0-9][\w.:-]{0,255}$/);
const text = z.string().nullish().transform((value) => value ?? '');
const yesNo = z.boolean().nullish().transform((value) => value ?? false);
const wholeNumber = z.number().nullish().transform((value) => value ?? 0);
const labels = map(z.string());
const endpoint = z.looseObject({ NetworkID: text, IPAddress: text, Gateway: text });
const portBinding = z.looseObject({ HostIp: text, HostPort: text });

/** `POST …/create`. */
export const Created = z.looseObject({ Id: id });

/** `GET /version`. */
export const Version = z.looseObject({ ApiVersion: z.string().regex(/^\d{1,4}\.\d{1,4}$/), MinAPIVersion: z.string().nullish() });

/** `GET /containers/{id}/json`. */
export const Container = z.looseObject({
  Id: id,
  Image: text,
  State: z.looseObject({ Status: z.string(), Running: yesNo, Paused: yesNo, OOMKilled: yesNo, ExitCode: wholeNumber, StartedAt: text, FinishedAt: text }),
  Config: z.looseObject({ Image: text, Hostname: text, Labels: labels, ExposedPorts: map(z.unknown()) }),
  HostConfig: z.looseObject({ NetworkMode: text }),
  NetworkSettings: z.looseObject({ Networks: map(endpoint), Ports: map(listOf(portBinding)) }),
});

/** `GET /containers/json`. */
export const ContainerList = listOf(z.looseObject({ Id: id, Image: text, ImageID: text, State: text, Created: wholeNumber, Labels: labels }));

/** `GET /containers/{id}/stats`. */
export const Stats = z.looseObject({
  read: z.string(),
  cpu_stats: z.looseObject({ cpu_usage: z.looseObject({ total_usage: wholeNumber }).optional() }).optional(),
  memory_stats: z.looseObject({ usage: z.number().optional(), limit: z.number().optional(), stats: map(z.number().catch(0)) }).optional(),
  networks: z.record(z.string(), z.looseObject({ rx_bytes: wholeNumber, tx_bytes: wholeNumber })).nullish().transform((value) => value ?? undefined),
  pids_stats: z.looseObject({ current: wholeNumber }).optional(),
});

/** `GET /images/{name}/json`. */
export const Image = z.looseObject({
  Id: id,
  Size: wholeNumber,
  RepoDigests: listOf(z.string()),
  Config: z.looseObject({ ExposedPorts: map(z.unknown()) }).nullish().transform((value) => value ?? undefined),
});

/** `GET /images/json`. */
export const ImageList = listOf(z.looseObject({ Id: id, RepoTags: listOf(z.string()) }));

/** `GET /images/{name}/history`. */
export const History = z.array(z.looseObject({ Created: wholeNumber, CreatedBy: text, Size: wholeNumber }));

/** `GET /networks`. */
export const NetworkList = listOf(
  z.looseObject({
    Id: id,
    Name: z.string(),
    Driver: text,
    Created: text,
    Options: labels,
    IPAM: z.looseObject({ Config: listOf(z.looseObject({ Subnet: text, Gateway: text })) }).nullish().transform((value) => value ?? undefined),
  }),
);

/** Null for an empty map is what Go writes. */
function map<Value extends z.ZodType>(value: Value): z.ZodType<Record<string, z.output<Value>>> {
  return z.record(z.string(), value).nullish().transform((entries) => entries ?? {});
}

/** The entries that fit: one that is odd must not hide all the others. Null for an empty list is what Go writes. */
function listOf<Entry extends z.ZodType>(entry: Entry): z.ZodType<z.output<Entry>[]> {
  const fitting = (entries: unknown[] | null | undefined): z.output<Entry>[] =>
    (entries ?? []).flatMap((each) => {
      const checked = entry.safeParse(each);
      return checked.success ? [checked.data] : [];
    });
  return z.array(z.unknown()).nullish().transform(fitting);
}
