/**
 * Who may import whom: the table of rooms, as the rules of `npx depcruise src`. A room that is not in a row below may import nothing but
 * `core` and itself, so a new room needs its line here. test/unit/structure.test.ts runs this, and shows that it bites.
 */
const MAY_IMPORT = {
  core: [],
  config: [],
  images: [],
  security: ['images'],
  targets: ['images', 'security'],
  instances: ['images', 'security', 'targets'],
  build: ['images'],
  deploy: ['images', 'security', 'targets', 'instances', 'build'],
  artifacts: ['images', 'security', 'build'],
  docker: ['images', 'security', 'targets', 'instances', 'build'],
  store: ['images', 'security', 'targets', 'build', 'deploy', 'artifacts'],
  proxy: ['security', 'targets', 'instances'],
  api: ['images', 'security', 'targets', 'instances', 'build', 'deploy', 'artifacts'],
  git: ['security', 'build', 'deploy'],
  cli: ['images', 'targets', 'build'],
  dashboard: [],
};

/** Files of a room that another room may import beyond its row. */
const ALSO = { cli: ['^src/api/contract(/|\\.)'] };

/** A vendor package has one home, so that its words stay there and it can be changed there. */
const VENDOR_HOMES = {
  dockerode: '^src/docker/',
  lowdb: '^src/store/',
  tldts: '^src/targets/host-name\\.ts$',
  'http-proxy': '^src/proxy/forwarder\\.ts$',
  koa: '^src/api/',
  '@koa/router': '^src/api/',
  'p-queue': '^src/core/bounded-queue\\.ts$',
  'prom-client': '^src/core/metrics\\.ts$',
  dotenv: '^src/config/',
  commander: '^src/cli/',
  pino: '^src/core/log\\.ts$',
  semver: '^src/build/runtimes/',
  'smol-toml': '^src/build/runtimes/',
  'pino-pretty': '^src/core/log\\.ts$',
};

const roomRules = Object.entries(MAY_IMPORT).map(([room, others]) => ({
  name: `${room}-imports`,
  severity: 'error',
  comment: `${room} may import ${['core', ...others].join(', ')} and itself.`,
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: [...['core', room, ...others].map((each) => `^src/${each}/`), ...(ALSO[room] ?? [])] },
}));

const vendorRules = Object.entries(VENDOR_HOMES).map(([vendor, home]) => ({
  name: `${vendor.replaceAll(/[^a-z0-9]+/g, '-')}-has-one-home`,
  severity: 'error',
  comment: `${vendor} is imported in ${home} alone.`,
  from: { path: '^src/', pathNot: home },
  // By the name that is written: an npm alias, such as that of http-proxy, lies elsewhere. Its types count as the package.
  to: { path: [`^${vendor}(/|$)`, `(^|/)node_modules/${vendor}/`, `(^|/)node_modules/@types/${vendor.replace('@', '').replace('/', '__')}/`] },
}));

const knownRooms = Object.keys(MAY_IMPORT).join('|');

module.exports = {
  forbidden: [
    ...roomRules,
    ...vendorRules,
    { name: 'no-cycles', severity: 'error', comment: 'No module imports itself by way of others.', from: { path: '^src/' }, to: { circular: true } },
    { name: 'known-rooms', severity: 'error', comment: 'A new room needs its row in .dependency-cruiser.cjs.', from: { path: '^src/[^/]+/', pathNot: `^src/(${knownRooms})/` }, to: {} },
    {
      name: 'settings-stay-at-the-root',
      severity: 'error',
      comment: 'Only main.ts and pipes.ts see the settings; rooms get plain options.',
      from: { path: '^src/', pathNot: ['^src/(main|pipes)\\.ts$', '^src/config/'] },
      to: { path: '^src/config/' },
    },
    {
      name: 'adapters-are-plugged-in-by-pipes',
      severity: 'error',
      comment: 'Only pipes.ts imports docker and store; everyone else knows their ports.',
      from: { path: '^src/', pathNot: ['^src/pipes\\.ts$', '^src/(docker|store)/'] },
      to: { path: '^src/(docker|store)/' },
    },
    { name: 'nobody-imports-the-root', severity: 'error', comment: 'Rooms know neither main.ts nor pipes.ts.', from: { path: '^src/[^/]+/' }, to: { path: '^src/[^/]+\\.ts$' } },
    { name: 'resolvable', severity: 'error', comment: 'Every import leads somewhere.', from: { path: '^src/' }, to: { couldNotResolve: true } },
    { name: 'no-tests-in-the-program', severity: 'error', comment: 'The program imports nothing of its tests.', from: { path: '^src/' }, to: { path: '^(test|bench)/' } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'], mainFields: ['module', 'main', 'types'] },
  },
};
