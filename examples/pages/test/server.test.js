import assert from "node:assert/strict";
import { test } from "node:test";

import { page as uptime } from "../src/pages/uptime.js";
import { server } from "../src/server.js";

test("uptime is said in words", () => {
  assert.equal(uptime({ uptime: 90_000 }), "up for 2 minutes\n");
});

test("the server answers its pages and nothing else", async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const at = `http://127.0.0.1:${server.address().port}`;
  try {
    assert.equal(await (await fetch(`${at}/health`)).text(), "ok\n");
    assert.equal((await fetch(`${at}/secret`)).status, 404);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
