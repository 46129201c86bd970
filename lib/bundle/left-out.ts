import type { Contents, LocalContent } from "./contents.ts";

/** What of some local content does not go into a bundle for some architectures, in words: for the person who makes it. */
export function leftOut(
  local: LocalContent[],
  architectures: string[],
  made: Contents,
): { warnings: string[]; notes: string[] } {
  const has = (name: string, arch: string) => made.images.some((i) => i.name === name && i.arch === arch);
  const warnings = local.flatMap(({ store, contents }) =>
    contents.absent
      .filter(({ name, arch }) => architectures.includes(arch) && !has(name, arch))
      .map(({ name, arch }) => `${name} is missing for ${arch}: ${store.path} lists it, but does not hold it`),
  );
  const foreign = local.flatMap(({ store, contents }) =>
    contents.images
      .filter(({ name, arch }) => !architectures.includes(arch) && !architectures.some((a) => has(name, a)))
      .map(
        ({ name, rawName, manifest, arch }) =>
          `${store.path}: ${name || rawName || manifest.digest}: it is for ${arch}`,
      ),
  );
  const others = local.flatMap(({ store, contents }) =>
    contents.images
      .filter(
        ({ name, arch, manifest }) =>
          architectures.includes(arch) &&
          made.images.some((i) => i.name === name && i.arch === arch && i.manifest.digest !== manifest.digest),
      )
      .map(({ name, arch }) => `${store.path}: ${name} for ${arch}: another one of that name came first`),
  );
  const notes = [...others, ...local.flatMap(({ contents }) => contents.leftOut), ...foreign].map(
    (words) => `Left out ${words}`,
  );
  return { warnings: [...new Set(warnings)], notes: [...new Set(notes)] };
}
