/** Ports that web servers commonly listen on, in the order they are preferred when an image exposes several (INTERFACE 3). */
const PREFERRED = [80, 8080, 3000, 8000, 5000];

export const ASSUMED_PORT = 80;

/** The configured port; else the image's one exposed port; else the preferred of several, then the lowest; else 80. */
export function servingPort(configured: number | undefined, exposed: readonly number[]): number {
  if (configured !== undefined) return configured;
  return PREFERRED.find((port) => exposed.includes(port)) ?? [...exposed].sort((a, b) => a - b)[0] ?? ASSUMED_PORT;
}
