# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The queries were checked beforehand, against .sqlx: a build needs no database. What was compiled before stays in the
# caches, so that a change to our own code compiles our own code only.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/knead /knead

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin knead \
    && install -d -o knead -m 0700 /var/lib/knead
COPY --from=build /knead /usr/local/bin/knead
COPY LICENSE /usr/share/doc/knead/LICENSE
USER knead
# In a container loopback is out of reach for everybody else.
ENV KNEAD_ADDR=0.0.0.0:8080
ENV KNEAD_STORAGE=/var/lib/knead
# The one folder that can be written where the rest is read-only. Uploads on their way lie there without a name.
ENV TMPDIR=/var/lib/knead
EXPOSE 8080
# The image has no curl, and bash can do it. A service whose database is away needs no restart: /livez, not /readyz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD \
    ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["knead"]
CMD ["serve"]
