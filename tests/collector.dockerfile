# The destination of `make e2e`, for any cluster. Its context is target/collector.
FROM scratch
COPY collector /collector
USER 65532:65532
ENTRYPOINT ["/collector", "0.0.0.0:8080"]
