import type { Report } from "../kind.ts";

const REPOSITORY = /^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:\d{1,5})?(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[\w][\w.-]{0,127}$/;

/** Checks where images come from: a registry, and a path in it. */
export function checkImageRepository(repository: string | undefined, at: string, report: Report): void {
  if (repository && (repository.length > 255 || !REPOSITORY.test(repository))) {
    report(
      at,
      `${JSON.stringify(repository)} must be a registry with an optional path, such as registry.k8s.io or 10.0.0.1:5000/k8s`,
    );
  }
}

/** Checks an image's tag (OCI distribution-spec). */
export function checkImageTag(tag: string | undefined, at: string, report: Report): void {
  if (tag && !TAG.test(tag)) report(at, `${JSON.stringify(tag)} must be an image tag such as v1.2.3`);
}
