import { spyOn } from "bun:test";
import { main } from "../../cmd/main.ts";

/** How a command line ended, and what it printed to standard output and error. */
export interface Ended {
  code: number;
  printed: string;
}

/** Runs a command line in this process. */
export async function command(...argv: string[]): Promise<Ended> {
  let printed = "";
  const capture = (chunk: unknown) => {
    printed += String(chunk);
    return true;
  };
  const spies = [
    spyOn(process.stderr, "write").mockImplementation(capture),
    spyOn(process.stdout, "write").mockImplementation(capture),
  ];
  try {
    return { code: await main(argv), printed };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
