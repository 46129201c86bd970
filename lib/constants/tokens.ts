/** Bootstrap tokens (https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/). */
export const TOKEN_PATTERN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
export const TOKEN_GROUP_PATTERN = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
export const TOKEN_USAGES = ["signing", "authentication"] as const;
