import { expect, test } from "bun:test";
import { userYamlImages } from "../../lib/bundle/user-yaml.ts";

test("manifests name their images, each once", () => {
  const pod = "kind: Pod\nspec: {initContainers: [{image: a}], containers: [{image: 'b.io/c:1'}, {image: a}]}\n---\n";
  expect(userYamlImages(pod, "f")).toEqual(["b.io/c:1", "docker.io/library/a:latest"]);
  expect(() => userYamlImages("- 1\n", "f")).toThrow("no Kubernetes object");
  expect(() => userYamlImages("a: [", "f")).toThrow("is no YAML");
});
