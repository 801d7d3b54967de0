/** One line of metrics.jsonl. */
export interface MetricsRecord {
  readonly split: "train" | "evaluation";
  /** Optimizer steps done. */
  readonly step: number;
  readonly [metric: string]: number | string;
}

/** How far an activity is. */
export interface ProgressState {
  /**
   * What is done: `train`, `evaluation`, `reference`, or a phrase such as `sampling from runs/a`.
   */
  readonly activity: string;
  readonly done: number;
  readonly total: number;
  readonly secondsLeft?: number;
}

/** Where the messages of a long work go. Nothing in the library prints. */
export interface Reporter {
  /** What the user may want to know. */
  note(message: string): void;
  /** What the user should look at. */
  warn(message: string): void;
  /** Called often, so it must be cheap. An activity's count begins again with each activity. */
  progress(state: ProgressState): void;
  /** A line of the run's metrics. */
  record(record: MetricsRecord): void;
}

/** Says nothing. */
export const silentReporter: Reporter = { note() {}, warn() {}, progress() {}, record() {} };
