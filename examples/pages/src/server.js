import { createServer } from "node:http";

import { routes } from "./routes.js";

const started = Date.now();

export const server = createServer(async (request, response) => {
  const route = routes[new URL(request.url, "http://localhost").pathname];
  if (!route) {
    response.writeHead(404, { "content-type": "text/plain" }).end("no such page\n");
    return;
  }
  const { page } = await route();
  response.writeHead(200, { "content-type": "text/plain" }).end(page({ uptime: Date.now() - started }));
});

if (process.argv[1]?.endsWith("server.js")) {
  server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
  process.on("SIGTERM", () => server.close());
}
