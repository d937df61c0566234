# syntax=docker/dockerfile:1
# Two images: `service` (API, dispatcher, drafter, expert and the terminal) and `playground` (the embedded models).
# There is no build step: Node runs the TypeScript. Nothing here depends on the processor: `docker buildx build
# --platform linux/amd64,linux/arm64 --target service .`
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages/cascade/package.json packages/cascade/
COPY packages/cli/package.json packages/cli/
COPY packages/console/package.json packages/console/
COPY packages/core/package.json packages/core/
COPY packages/models/package.json packages/models/
COPY packages/redis/package.json packages/redis/
COPY packages/runtime/package.json packages/runtime/
COPY packages/storage/package.json packages/storage/
COPY packages/worker/package.json packages/worker/
COPY services/api/package.json services/api/
COPY services/dispatcher/package.json services/dispatcher/
COPY services/drafter/package.json services/drafter/
COPY services/expert/package.json services/expert/
COPY services/playground/package.json services/playground/

# What a package brings beside its code is half of it: source maps, types, its own sources.
FROM manifests AS service-packages
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --workspace @spillway/api --workspace @spillway/dispatcher --workspace @spillway/drafter --workspace @spillway/expert --workspace @spillway/cli
RUN find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
# TypeScript is an optional peer of what bull-board brings, so that npm takes it for one that is needed.
RUN rm -rf node_modules/openai/src node_modules/typescript node_modules/@typescript

# Of onnxruntime-web's builds Node loads the plain one.
FROM manifests AS playground-packages
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --workspace @spillway/playground
RUN find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
RUN find node_modules/onnxruntime-web/dist -type f \( -name '*.jsep.*' -o -name '*.asyncify.*' -o -name '*.jspi.*' -o -name 'ort.all*' -o -name 'ort.web*' \) -delete
RUN rm -rf node_modules/openai/src

FROM ${NODE_IMAGE} AS base
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
# Volumes that are mounted there take over the owner.
RUN mkdir -p /data /keys
RUN chown 1000:1000 /data /keys
ENTRYPOINT ["node"]

FROM base AS playground
COPY --from=playground-packages /app ./
COPY packages packages
COPY services/playground services/playground
USER 1000:1000
ENV PORT=8377
EXPOSE 8377
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["services/playground/src/server/main.ts"]

# Which of the services it is says the command; without one it is the API.
FROM base AS service
COPY --from=service-packages /app ./
COPY packages packages
COPY services/api services/api
COPY services/dispatcher services/dispatcher
COPY services/drafter services/drafter
COPY services/expert services/expert
USER 1000:1000
ENV PORT=8080 HEALTH_PORT=9464
EXPOSE 8080 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HEALTH_PORT}/health/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["services/api/src/main.ts"]
