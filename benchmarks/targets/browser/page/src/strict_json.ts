/** JSON of RFC 8259 that keeps what JSON.parse loses: keys that occur twice, and whether a number is an integer. */

export type JsonRefusal = "syntax" | "duplicate_key";

export class JsonError extends Error {
  readonly reason: JsonRefusal;

  constructor(reason: JsonRefusal, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A number as it was written. */
export class Numeral {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  get value(): number {
    return Number(this.text);
  }

  get isInteger(): boolean {
    return /^-?\d+$/.test(this.text);
  }
}

export type Json = null | boolean | string | Numeral | Json[] | Map<string, Json>;

const LEVELS_MOST = 32;
const TOKEN =
  /[ \t\r\n]*(?:([[\]{},:])|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(true|false|null))/y;

/** Throws JsonError. */
export function parse(text: string): Json {
  let at = 0;

  function next(): string {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (!found) throw new JsonError("syntax", `not JSON at character ${at}`);
    at = TOKEN.lastIndex;
    return found[0].trimStart();
  }

  function peek(): string {
    const before = at;
    const token = next();
    at = before;
    return token;
  }

  function separated(end: string, item: () => void): void {
    if (peek() === end) {
      next();
      return;
    }
    for (;;) {
      item();
      const token = next();
      if (token === end) return;
      if (token !== ",") throw new JsonError("syntax", `not JSON at character ${at}`);
    }
  }

  function value(levels: number): Json {
    if (levels > LEVELS_MOST) throw new JsonError("syntax", "nested too deeply");
    const token = next();
    if (token === "[") {
      const list: Json[] = [];
      separated("]", () => list.push(value(levels + 1)));
      return list;
    }
    if (token === "{") {
      const fields = new Map<string, Json>();
      separated("}", () => {
        const key = next();
        if (key[0] !== '"' || next() !== ":") throw new JsonError("syntax", `not JSON at character ${at}`);
        const name = JSON.parse(key) as string;
        if (fields.has(name)) throw new JsonError("duplicate_key", `the key ${key} occurs twice`);
        fields.set(name, value(levels + 1));
      });
      return fields;
    }
    if (token === "true" || token === "false") return token === "true";
    if (token === "null") return null;
    if (token[0] === '"') return JSON.parse(token) as string;
    if (/^[-\d]/.test(token)) return new Numeral(token);
    throw new JsonError("syntax", `not JSON at character ${at}`);
  }

  const whole = value(1);
  if (/[^ \t\r\n]/.test(text.slice(at))) throw new JsonError("syntax", `more than one value at character ${at}`);
  return whole;
}
