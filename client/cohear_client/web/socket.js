/**
 * Opens one connection: the websocket, `start`, and the server's `ready`. What happens on it is `cohear.js`'s part.
 */
import { CohearError, faultOf, noServer } from './errors.js';

const PATH = 'v1/stream';
const SUBPROTOCOL = 'cohear.v1';
const TOKEN_PREFIX = 'cohear.token.';
const OPEN_TIMEOUT_MS = 10_000;

/**
 * @param {URL} url of the stream endpoint
 * @param {object} start the `start` message, without its type
 * @param {(() => Promise<string>) | undefined} token gives what proves who we are; it travels as a subprotocol, never
 *   in the address, which ends up in logs
 * @returns {Promise<{socket: WebSocket, ready: any}>}
 * @throws {CohearError} what the server refused, or `connection_failed`, `timeout`, `token_failed`
 */
export async function openSocket(url, start, token) {
  const protocols = [SUBPROTOCOL];
  if (token) protocols.push(TOKEN_PREFIX + (await tokenOf(token)));
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  try {
    return { socket, ready: await greeted(socket, start) };
  } catch (fault) {
    socket.close();
    throw fault;
  } finally {
    socket.onopen = socket.onmessage = socket.onclose = null;
  }
}

async function tokenOf(token) {
  try {
    return await token();
  } catch (fault) {
    throw new CohearError('token_failed', `No token could be had: ${fault.message}`, 'sign in again');
  }
}

function greeted(socket, start) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new CohearError('timeout', 'The server did not answer within 10 s', 'see whether it is overloaded')),
      OPEN_TIMEOUT_MS,
    );
    const settle = (how, value) => {
      clearTimeout(timer);
      how(value);
    };
    socket.onopen = () => socket.send(JSON.stringify({ type: 'start', ...start }));
    socket.onclose = () => settle(reject, noServer());
    socket.onmessage = ({ data }) => {
      const answer = JSON.parse(data);
      if (answer.type === 'ready') settle(resolve, answer);
      else settle(reject, faultOf(answer));
    };
  });
}

/** The websocket address of a server. */
export function endpoint(url = document.baseURI) {
  const base = new URL(url, document.baseURI);
  base.protocol = base.protocol.replace('http', 'ws');
  if (!base.pathname.endsWith(PATH)) base.pathname = base.pathname.replace(/[^/]*$/, '') + PATH;
  base.hash = base.search = '';
  return base;
}
