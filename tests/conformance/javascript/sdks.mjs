// Calls Stream's JavaScript SDKs: takes one call a line, as JSON, and answers with one line each.
//
// in   {"sdk", "key", "secret", "url", "on": [[method, arguments], ...]}   each method on what the one before it gave
// out  {"body", "status", "headers"}   what the SDK made of Stream's answer; a Date is {"$date": RFC 3339}
// or   {"error": {"type", "message", "code", "status", "rate_limit"}}

import { createInterface } from "node:readline";
import { StreamClient } from "@stream-io/node-sdk";
import { ErrorFromResponse, StreamChat } from "stream-chat";

const connect = {
  "node-sdk": ({ key, secret, url }) => ({ client: new StreamClient(key, secret, { basePath: url }) }),
  "stream-chat": ({ key, secret, url }) => {
    const client = new StreamChat(key, secret, { baseURL: url, axiosRequestConfig: { proxy: false } });
    const seen = {};
    // This SDK gives the body alone.
    client.axiosInstance.interceptors.response.use((response) => Object.assign(seen, { response }).response);
    return { client, seen };
  },
};

const clients = new Map();

function connected(call) {
  const which = JSON.stringify([call.sdk, call.key, call.secret, call.url]);
  if (!clients.has(which)) clients.set(which, connect[call.sdk](call));
  return clients.get(which);
}

async function run(call) {
  const { client, seen } = connected(call);
  let value = client;
  for (const [path, args] of call.on) {
    const names = path.split(".");
    const method = names.pop();
    const owner = names.reduce((each, name) => each[name], value);
    if (typeof owner?.[method] !== "function") throw new TypeError(`${call.sdk} has no ${path}`);
    value = await owner[method](...args);
  }
  if (seen) return { body: value, status: seen.response.status, headers: { ...seen.response.headers } };
  const { metadata, ...body } = value;
  return { body, status: metadata.responseCode, headers: Object.fromEntries(metadata.responseHeaders) };
}

function told(error) {
  const { message, code, metadata } = error;
  const status = error instanceof ErrorFromResponse ? error.status : metadata?.responseCode;
  return { type: error.constructor.name, message, code, status, rate_limit: metadata?.rateLimit };
}

const read = (name, value) => (value?.$date === undefined ? value : new Date(value.$date));

function written(name, value) {
  // JSON.stringify has made a string of it by now.
  const original = this[name];
  return original instanceof Date ? { $date: isNaN(original) ? null : original.toISOString() } : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await run(JSON.parse(line, read)).catch((error) => ({ error: told(error) }));
  process.stdout.write(`${JSON.stringify(reply, written)}\n`);
}
