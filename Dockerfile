# CPU:     docker build -t softrl .
# CUDA:    docker build -t softrl --build-arg ACCELERATOR=cuda13 .
#          ACCELERATOR is cpu, cuda12, cuda13 or tpu; of CUDA, the host brings only the driver
# Extras:  docker build -t softrl --build-arg EXTRAS="gym export serve" .
#          EXTRAS are more optional dependencies of pyproject.toml; both arguments may be given
# Run:     docker run --rm -v "$PWD/runs:/data/runs" -v softrl-cache:/cache softrl train brax/halfcheetah
#          and for a GPU add --gpus all
FROM python:3.12-slim-bookworm

ARG ACCELERATOR=cpu
ARG EXTRAS=""

# EGL draws the videos without a screen; git names the commit of a checkout that is mounted.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libegl1 libgl1 ffmpeg git \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/softrl
# The dependencies come first, against an empty package, so that a changed source file does not install them again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir softrl && touch softrl/__init__.py \
 && if [ "$ACCELERATOR" = cpu ]; then extras="$EXTRAS"; else extras="$ACCELERATOR $EXTRAS"; fi \
 && extras=$(echo $extras | tr -s ' ,' ',') \
 && pip install --no-cache-dir ".${extras:+[$extras]}" -c constraints.txt \
 && pip uninstall -y softrl
COPY softrl softrl
RUN pip install --no-cache-dir --no-deps .

RUN useradd --create-home softrl && mkdir -p /cache /data/runs && chown -R softrl /cache /data
USER softrl
WORKDIR /data
ENV MUJOCO_GL=egl \
    NVIDIA_DRIVER_CAPABILITIES=all \
    JAX_COMPILATION_CACHE_DIR=/cache \
    PYTHONUNBUFFERED=1
VOLUME ["/cache", "/data/runs"]
ENTRYPOINT ["softrl"]
CMD ["--help"]
