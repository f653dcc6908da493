/** Whether a pod in this phase has ended: nothing of it is started any more. */
export function isTerminalPhase(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}
