/** Exit code 0 if the Docker engine answers (DOCKER_HOST, or the machine's own); else 1, and on standard output why not, in a few words. */
import Docker from 'dockerode';

try {
  // dockerode reads DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH as the docker command does.
  await new Docker({ timeout: 5000 }).ping();
} catch (error) {
  const reasons = { EACCES: 'this user may not talk to it: run as root, or join the group docker', ENOENT: 'there is no such socket', ECONNREFUSED: 'nothing listens there' };
  console.log(reasons[error.code] ?? error.message);
  process.exit(1);
}
process.exit(0);
