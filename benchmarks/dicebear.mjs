// DiceBear as its documentation has one write it: core and converter behind Fastify.
// The style is parsed once, as its README advises; a new avatar for each request.
import Fastify from 'fastify';
import { Avatar, Style } from '@dicebear/core';
import { toPng } from '@dicebear/converter';
import definition from '@dicebear/styles/lorelei.json' with { type: 'json' };

const style = new Style(definition);
const app = Fastify();
const drawn = ({ query }) =>
  new Avatar(style, { seed: query.seed, size: Number(query.size ?? 128) });

app.get('/svg', async (request, reply) =>
  reply.type('image/svg+xml').send(drawn(request).toString()));
app.get('/png', async (request, reply) =>
  reply.type('image/png').send(Buffer.from(await toPng(drawn(request)).toArrayBuffer())));

await app.listen({ host: '127.0.0.1', port: Number(process.env.KAO_PORT) });
