import { readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import { cgroupVersion } from "./cgroups.ts";
import { readSystemFile } from "./system-files.ts";

/** What this host's kernel is, and what it was told and built with. */
export interface KernelFacts {
  /** As uname(2) tells it: 6.12.34+rpt-rpi-2712. */
  release: string;
  /** What the boot loader, or a board's firmware, told it (/proc/cmdline). */
  cmdline: string;
  /** Its build configuration, option (without CONFIG_) → y or m; empty where that is nowhere to be read. */
  config: Map<string, string>;
  /** Modules that are there: built in, loaded, or as files that can be loaded. */
  modules: Set<string>;
  /** Whether the list of the modules that can be loaded was there to be read. */
  modulesListed: boolean;
  /** The cgroup controllers that are switched on. */
  controllers: string[];
  /** The file in which a Raspberry Pi's firmware looks for the command line; undefined where there is none. */
  bootFile: { path: string; text: string } | undefined;
}

/** A part of the kernel: the option that builds it, and the module that it then is, where it can be one. */
export interface KernelPart {
  option: string;
  module?: string;
}

/** Newest first: Ubuntu's tried-out boot, Raspberry Pi OS since 2023, and before. */
const BOOT_FILES = ["/boot/firmware/current/cmdline.txt", "/boot/firmware/cmdline.txt", "/boot/cmdline.txt"];
/** Where distributions keep a kernel's configuration (system-validators kernel_validator.go). */
const configFiles = (version: string) => [
  "/proc/config.gz",
  `/boot/config-${version}`,
  `/usr/lib/modules/${version}/config`,
  `/usr/lib/ostree-boot/config-${version}`,
  `/usr/lib/kernel/config-${version}`,
];
const MAX_CONFIG_BYTES = 16 << 20;

/** Reads the facts of the kernel that runs here. */
export function readKernelFacts(): KernelFacts {
  const version = release();
  const directory = `/lib/modules/${version}`;
  const listed = readSystemFile(`${directory}/modules.dep`);
  const bootFile = BOOT_FILES.map((path) => ({ path, text: readSystemFile(path) })).find(({ text }) => text !== "");
  return {
    release: version,
    cmdline: readSystemFile("/proc/cmdline").trim(),
    config: parseKernelConfig(firstConfig(configFiles(version))),
    modules: new Set([...modulesIn(listed), ...modulesIn(readSystemFile(`${directory}/modules.builtin`)), ...loaded()]),
    modulesListed: listed !== "",
    controllers:
      cgroupVersion() === 2
        ? readSystemFile("/sys/fs/cgroup/cgroup.controllers").trim().split(/\s+/)
        : v1Controllers(readSystemFile("/proc/cgroups")),
    bootFile,
  };
}

/** The options that a kernel's configuration file sets to y or m. */
export function parseKernelConfig(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^CONFIG_([A-Za-z0-9_]+)=([ym])$/gm)].map((match) => [match[1]!, match[2]!]));
}

/** The names of the modules in modules.dep or modules.builtin, as lsmod prints them. */
export function modulesIn(text: string): string[] {
  return [...text.matchAll(/([^/\s:]+)\.ko(?=[.:\s]|$)/g)].map((match) => match[1]!.replaceAll("-", "_"));
}

/** The controllers that /proc/cgroups says are enabled. */
export function v1Controllers(table: string): string[] {
  return table
    .split("\n")
    .map((line) => line.split("\t"))
    .filter((fields) => fields[3] === "1")
    .map((fields) => fields[0]!);
}

/**
 * Whether a kernel has a part. False also for a module whose file is gone, as after an update without a reboot; undefined
 * where neither its configuration nor its list of modules can be read.
 */
export function hasPart(kernel: KernelFacts, { option, module }: KernelPart): boolean | undefined {
  if (module !== undefined && kernel.modules.has(module)) return true;
  if (kernel.config.size > 0) return kernel.config.get(option) === "y";
  return module !== undefined && kernel.modulesListed ? false : undefined;
}

function firstConfig(paths: string[]): string {
  for (const path of paths) {
    try {
      const bytes = readFileSync(path);
      return (path.endsWith(".gz") ? gunzipSync(bytes, { maxOutputLength: MAX_CONFIG_BYTES }) : bytes).toString();
    } catch {
      // Not there, or not for this one to read.
    }
  }
  return "";
}

function loaded(): string[] {
  try {
    return readdirSync("/sys/module");
  } catch {
    return [];
  }
}
