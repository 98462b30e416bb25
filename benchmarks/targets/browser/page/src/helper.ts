/** The page's side of the worker: calls by name, with progress and one cancel for all. */

import type { CallName, Calls, Reply, Request } from "./messages.ts";

export class CallError extends Error {
  readonly cancelled: boolean;

  constructor(message: string, cancelled: boolean) {
    super(message);
    this.cancelled = cancelled;
  }
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: CallError): void;
  progress(share: number): void;
}

export class Helper {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url));
  private readonly waiting = new Map<number, Waiting>();
  private calls = 0;
  private cancelled = false;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const waiting = this.waiting.get(data.id);
      if (!waiting) return;
      if ("progress" in data) return waiting.progress(data.progress);
      this.waiting.delete(data.id);
      if ("error" in data) waiting.reject(new CallError(data.error, data.cancelled));
      else waiting.resolve(data.answer);
    };
    this.worker.onerror = () => {
      for (const { reject } of this.waiting.values())
        reject(new CallError("The worker of this page failed. Reload the page.", false));
      this.waiting.clear();
    };
  }

  /** Forgets a cancel of the work before. */
  begin(): void {
    this.cancelled = false;
  }

  call<Name extends CallName>(
    name: Name,
    args: Parameters<Calls[Name]>,
    progress: (share: number) => void = () => {},
  ): Promise<ReturnType<Calls[Name]>> {
    if (this.cancelled) return Promise.reject(new CallError("Cancelled.", true));
    const id = ++this.calls;
    const request: Request = { id, name, args };
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject, progress });
      this.worker.postMessage(
        request,
        args.filter((value): value is ArrayBuffer => value instanceof ArrayBuffer),
      );
    });
  }

  /** Ends the call that runs at its next step, and refuses all others until `begin`. */
  cancel(): void {
    this.cancelled = true;
    this.worker.postMessage({ cancel: true } satisfies Request);
  }
}
