/** A secret that is shown once: the dialog that holds it asks before it is closed uncopied. */

export class Secret<T> {
  made = $state.raw<T | null>(null);
  isAsked = $state(false);
  #isCopied = false;

  show(made: T): void {
    this.made = made;
    this.isAsked = false;
    this.#isCopied = false;
  }

  copied(): void {
    this.#isCopied = true;
    this.isAsked = false;
  }

  /** Whether the dialog may go now; the second time it may in any case. */
  mayClose(): boolean {
    if (this.made === null || this.#isCopied || this.isAsked) return true;
    this.isAsked = true;
    return false;
  }
}
