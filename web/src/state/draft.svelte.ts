/**
 * The configuration while somebody changes it. It outlives the page, so that a look at the matrix, or a session that ended, does not
 * cost what was typed.
 */

import { ApiProblem } from '../api/client';
import { readConfig, setConfig, type ConfigChanged, type ConfigShown } from '../api/config';
import { changesBetween } from '../model/config';
import { readText, writeText } from '../model/config-text';
import {
  draftFaults,
  faultsElsewhere,
  faultsWithout,
  fromDraft,
  toDraft,
  type DraftConfig,
  type List,
} from '../model/draft';
import type { FieldError } from '../model/problem';

class ConfigDraft {
  /** The version that it began with; null while nothing is changed. */
  base = $state.raw<ConfigShown | null>(null);
  config = $state<DraftConfig | null>(null);
  /** As text, while it is edited so; null while it is a form. */
  text = $state<string | null>(null);
  faults = $state.raw<readonly FieldError[]>([]);
  /** What the aggregator says that it would do. */
  proposal = $state.raw<ConfigChanged | null>(null);
  /** What is in force although this began with something else. */
  theirs = $state.raw<ConfigShown | null>(null);

  isChanged = $derived.by(() => {
    if (!this.base || !this.config) return false;
    if (this.text !== null) return this.text !== textOf(this.base);
    return changesBetween(this.base.config, fromDraft(this.config)).length > 0;
  });

  begin(shown: ConfigShown): void {
    this.base = shown;
    this.config = toDraft(shown.config);
    if (this.text !== null) this.text = textOf(shown);
    this.faults = [];
    this.proposal = null;
    this.theirs = null;
  }

  discard(): void {
    this.base = null;
    this.config = null;
    this.text = null;
    this.faults = [];
    this.proposal = null;
    this.theirs = null;
  }

  asText(): void {
    if (this.config && this.text === null) this.text = writeText(fromDraft(this.config));
  }

  /** False, with faults, where the text is none that a form could show. */
  asForm(): boolean {
    if (this.text === null) return true;
    const { config, faults } = readText(this.text);
    this.faults = faults;
    if (!config) return false;
    this.config = toDraft(config);
    this.text = null;
    return true;
  }

  remove(list: List, at: number): void {
    this.config?.[list].splice(at, 1);
    this.faults = faultsWithout(this.faults, list, at);
  }

  /** What was said of a field does not hold once it is changed. */
  touch(path: string): void {
    if (this.faults.length > 0) this.faults = faultsElsewhere(this.faults, path);
  }

  /** Asks what it would do. True when that is known; faults and what somebody else did are kept here, the rest is thrown. */
  async review(): Promise<boolean> {
    this.proposal = null;
    const config = this.#read();
    if (!config || !this.base) return false;
    return this.#guarded(async (base) => {
      this.proposal = await setConfig(config, { base, why: '', isDryRun: true });
    });
  }

  /** Makes the version. False when somebody else was first. */
  async save(why: string): Promise<boolean> {
    const config = this.#read();
    if (!config) return false;
    return this.#guarded(async (base) => {
      this.proposal = await setConfig(config, { base, why, isDryRun: false });
    });
  }

  /** Mine on top of theirs: what they changed is undone where mine says something else. */
  keepMine(): void {
    if (!this.theirs) return;
    this.base = this.theirs;
    this.theirs = null;
  }

  #read() {
    if (!this.config) return null;
    if (this.text !== null) {
      const { config, faults } = readText(this.text);
      this.faults = faults;
      if (config) this.config = toDraft(config);
      return config;
    }
    const config = $state.snapshot(this.config) as DraftConfig;
    this.faults = draftFaults(config);
    return this.faults.length > 0 ? null : fromDraft(config);
  }

  async #guarded(ask: (base: number) => Promise<void>): Promise<boolean> {
    if (!this.base) return false;
    try {
      await ask(this.base.version);
      return true;
    } catch (problem) {
      if (!(problem instanceof ApiProblem)) throw problem;
      if (problem.status === 412) this.theirs = await readConfig();
      else if (
        problem.code === 'invalid_config' &&
        problem.errors.every(({ field }) => field !== 'why')
      )
        this.faults = problem.errors;
      else throw problem;
      return false;
    }
  }
}

/** In the order of the form, so that nothing is different before anything was typed. */
function textOf(shown: ConfigShown): string {
  return writeText(fromDraft(toDraft(shown.config)));
}

export const draft = new ConfigDraft();
