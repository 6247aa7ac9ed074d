import { FakeBackend } from '../fakes/fake-backend.ts';
import { describeBackend } from './backend.ts';
import { specOf } from '../fakes/specs.ts';

// The tests' fake keeps the promises that Docker keeps; what is shown with it is therefore worth something.
describeBackend('FakeBackend', () => {
  const backend = new FakeBackend();
  return Promise.resolve({ backend, spec: (reference, behaviour) => specOf(reference, { env: { BEHAVIOUR: behaviour } }), close: () => backend.close() });
});
