# Every image, for amd64 and arm64, with an SBOM and provenance attached:
#   docker buildx bake --push
# One image for this machine alone:
#   docker buildx bake --load --provenance=false --sbom=false --set "*.platform=linux/amd64" kao

variable "REGISTRY" {
  default = "" # with its slash, as registry.example/faces/
}

variable "VERSION" {
  default = "0.1.0"
}

variable "REVISION" {
  default = "" # git rev-parse HEAD
}

variable "CREATED" {
  default = "" # git log -1 --format=%cI
}

# NAME:TAG@sha256:DIGEST pins it (docs/deploy.md, "Images").
variable "PYTHON_IMAGE" {
  default = "python:3.11-slim-bookworm"
}

variable "TORCH_CPU" {
  default = "https://download.pytorch.org/whl/cpu"
}

variable "TORCH_CUDA" {
  default = "https://download.pytorch.org/whl/cu130"
}

group "default" {
  targets = ["kao", "web", "worker", "worker-cpu"]
}

group "all" {
  targets = ["kao", "kao-cuda", "web", "worker", "worker-cpu"]
}

target "common" {
  context    = "."
  dockerfile = "Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  attest     = ["type=sbom", "type=provenance,mode=max"]
  args = {
    PYTHON_IMAGE = PYTHON_IMAGE
    VERSION      = VERSION
    REVISION     = REVISION
    CREATED      = CREATED
  }
}

target "web" {
  inherits = ["common"]
  target   = "web"
  tags     = ["${REGISTRY}kao-web:${VERSION}"]
}

target "worker" {
  inherits = ["common"]
  target   = "worker"
  args     = { TORCH_INDEX = TORCH_CUDA }
  tags     = ["${REGISTRY}kao-worker:${VERSION}"]
}

target "worker-cpu" {
  inherits = ["common"]
  target   = "worker"
  args     = { TORCH_INDEX = TORCH_CPU }
  tags     = ["${REGISTRY}kao-worker-cpu:${VERSION}"]
}

target "kao" {
  inherits = ["common"]
  target   = "kao"
  args     = { TORCH_INDEX = TORCH_CPU }
  tags     = ["${REGISTRY}kao:${VERSION}"]
}

target "kao-cuda" {
  inherits = ["common"]
  target   = "kao"
  args     = { TORCH_INDEX = TORCH_CUDA }
  tags     = ["${REGISTRY}kao-cuda:${VERSION}"]
}
