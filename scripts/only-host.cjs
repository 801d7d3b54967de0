/**
 * Loaded into Node processes by `--require`: a connection to any host but those of the variable ONLY_HOSTS fails, as
 * behind a firewall. `scripts/check-package.mjs` installs the package under it.
 */
const net = require("node:net");

const allowed = (process.env.ONLY_HOSTS ?? "").split(",").filter(Boolean);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args;
  const host = typeof first === "object" ? (first.host ?? "") : typeof args[1] === "string" ? args[1] : "";
  const isSocketFile = typeof first === "object" ? first.path !== undefined : typeof first === "string";
  if (isSocketFile || allowed.includes(host)) return connect.apply(this, args);
  const error = Object.assign(
    new Error(`connection to ${host || "localhost"} refused: only ${allowed} may be reached`),
    {
      code: "ECONNREFUSED",
    },
  );
  process.nextTick(() => this.destroy(error));
  return this;
};
