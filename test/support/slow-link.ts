// A bad link between two TAP interfaces that it makes, named by its arguments: what comes out of the second one reaches
// the first late, and some of it never; the other way is well. As tc's netem does it, which not every kernel has.
import { dlopen, FFIType, ptr } from "bun:ffi";
import * as fs from "node:fs";

/** TUNSETIFF of <linux/if_tun.h>; IFF_TAP | IFF_NO_PI: whole Ethernet frames without a header of the driver's. */
const TUNSETIFF = 0x400454ca;
const TAP_FLAGS = 0x1002;
const LARGEST_FRAME = 65_536;

const libc = dlopen("libc.so.6", { ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 } });

/** Makes a TAP interface that lasts as long as the file is open; gives the file. */
function tap(name: string): number {
  const file = fs.openSync("/dev/net/tun", "r+");
  const request = Buffer.alloc(40);
  request.write(name, "latin1");
  request.writeUInt16LE(TAP_FLAGS, 16);
  if (libc.symbols.ioctl(file, TUNSETIFF, ptr(request)) !== 0) throw new Error(`cannot make the interface ${name}`);
  return file;
}

function pump(from: number, to: number, delayMs: number, lossPercent: number): void {
  const frame = Buffer.alloc(LARGEST_FRAME);
  const next = () =>
    fs.read(from, frame, 0, frame.length, null, (error, size) => {
      // An interface went away: so does the link.
      if (error) process.exit();
      const copy = Buffer.from(frame.subarray(0, size));
      const lost = Math.random() * 100 < lossPercent;
      if (!lost) setTimeout(() => send(to, copy), delayMs);
      next();
    });
  next();
}

function send(to: number, frame: Buffer): void {
  try {
    fs.writeSync(to, frame);
  } catch {
    // The interface is down for a moment: the frame is lost, as it would be on a wire.
  }
}

const [near = "", far = "", delayMs = "0", lossPercent = "0"] = process.argv.slice(2);
const [a, b] = [tap(near), tap(far)];
pump(b, a, Number(delayMs), Number(lossPercent));
pump(a, b, 0, 0);
console.log("ready");
