/** One line of metrics.jsonl. */
export interface MetricsRecord {
  readonly split: "train" | "evaluation";
  /** Optimizer steps done. */
  readonly step: number;
  readonly [metric: string]: number | string;
}

/** The progress of an activity. */
export interface ProgressState {
  /**
   * The name of the activity: `train`, `evaluation`, `reference`, or a phrase such as `sampling
   * from runs/a`.
   */
  readonly activity: string;
  readonly done: number;
  readonly total: number;
  readonly secondsLeft?: number;
}

/** The receiver of the messages of long work. Nothing in the library prints. */
export interface Reporter {
  /** Tells the user something worth knowing. */
  note(message: string): void;
  /** Tells the user of something to look at. */
  warn(message: string): void;
  /** Called often, so it must be cheap. An activity's count begins again with each activity. */
  progress(state: ProgressState): void;
  /** A line of the run's metrics. */
  record(record: MetricsRecord): void;
}

/** Says nothing. */
export const silentReporter: Reporter = { note() {}, warn() {}, progress() {}, record() {} };
