/** The longest wait that Node's timers know, in milliseconds; anything above fires at once (Node.js, `setTimeout`). */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;
