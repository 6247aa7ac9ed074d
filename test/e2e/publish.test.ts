import { describeForwarding } from './forwarding.ts';

/** Docker's port proxy takes connections before anything listens behind it: the same must hold. */
describeForwarding('publish');
