/** Stops the containers of the pipes whose CONFIG_DIR is given. They stay, and so does their state: the next start takes them over. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';

const docker = new Docker();
try {
  const { owner } = JSON.parse(readFileSync(join(process.argv[2], 'pipes.json'), 'utf8'));
  if (typeof owner !== 'string' || owner === '') throw new Error('pipes.json names no owner');
  const mine = await docker.listContainers({ filters: { label: [`pipes.owner=${owner}`], status: ['running', 'paused'] } });
  await Promise.all(mine.map(async ({ Id, State }) => {
    const container = docker.getContainer(Id);
    if (State === 'paused') await container.unpause();
    await container.stop({ t: 5 });
  }));
} catch (error) {
  if (error.code !== 'ENOENT') console.error(`containers may be running still: ${error.message}`);
}
