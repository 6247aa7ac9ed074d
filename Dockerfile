# docker build -t pipes .
#
# Two bases: one to build with (Node and npm), one to run on. Running on the plain Debian one and taking only the program `node`
# along leaves npm, yarn and Node's headers out: 80 MB less, and less that could be misused beside the engine's socket.
ARG BASE=node:22-bookworm-slim
ARG RUNTIME=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /pipes
COPY package.json package-lock.json ./
# Nothing that pipes needs is compiled at installation, so nobody else's scripts run here.
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && cp "$(command -v node)" /node
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run --silent build
# What compilers and debuggers of other people's code would read is a quarter of it.
RUN npm ci --omit=dev --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error && \
    find node_modules -type f \( -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' \) -delete

FROM ${RUNTIME}
# The last label: a pipes that runs in a container never takes itself for an app that someone started by hand.
LABEL org.opencontainers.image.title="pipes" \
      org.opencontainers.image.description="Name an image in the address bar, and it runs" \
      org.opencontainers.image.licenses="MIT" \
      pipes.ignore="true"
RUN if ! command -v git >/dev/null || [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then \
      apt-get update -qq && \
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git ca-certificates >/dev/null && \
      apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log; \
    fi
# pipes begins as root and goes on as the owner of /configs, or as this user (src/leave-root.ts). It may look for logins in /root, which is
# where they are mounted.
RUN groupadd --gid 65532 pipes && useradd --uid 65532 --gid pipes --no-create-home --home-dir /configs --shell /usr/sbin/nologin pipes 2>/dev/null && \
    mkdir /configs && chown pipes:pipes /configs && chmod 700 /configs && chmod 711 /root
COPY --from=build /node /usr/local/bin/node
WORKDIR /pipes
COPY --from=build /pipes/package.json ./
COPY --from=build /pipes/node_modules node_modules
COPY --from=build /pipes/dist dist
COPY bin bin
COPY LICENSE ./

# Switches the defaults that differ in the image (docs/settings.md): port 80 on every address, /configs, and limits.
ENV NODE_ENV=production PIPES_IN_IMAGE=1
VOLUME /configs
EXPOSE 80
# /health answers on any host, with 503 while pipes starts or stops.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 80}/health`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/pipes/bin/pipes.js"]
CMD ["serve"]
