import api from "undici/lib/api/index.js";
import connector from "undici/lib/core/connect.js";
import UndiciAgent from "undici/lib/dispatcher/agent.js";
import Dispatcher from "undici/lib/dispatcher/dispatcher.js";

// As undici/index.js does, which loads fetch, WebSockets, caches and mocks besides: six megabytes in a process that stays.
Object.assign(Dispatcher.prototype, api);

/** undici's Agent, with `request` and the like. */
export const Agent = UndiciAgent;
/** The same as a type. */
export type Agent = UndiciAgent;
/** undici's maker of connections. */
export const buildConnector = connector;
