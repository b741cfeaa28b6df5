#!/bin/sh
# Installs the packages that Kao needs, without Kao itself: install_packages.sh EXTRAS
# Run in a folder with pyproject.toml and constraints.txt. EXTRAS as pip takes them: `hosts,otel`.
set -eu

# An empty shell of the project: changed code does not install its dependencies again.
for package in app kao models worker; do
  mkdir -p "$package"
  touch "$package/__init__.py"
done
pip install -c constraints.txt ".[$1]"
pip uninstall --yes kao
rm -rf build kao.egg-info

# The list of what is installed (CycloneDX, with licence texts) is written by a tool that does not stay.
python -m venv /tmp/sbom
/tmp/sbom/bin/pip install -c constraints.txt cyclonedx-bom
/tmp/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --gather-license-texts \
  --output-reproducible --output-file /usr/share/doc/kao/sbom.cdx.json /opt/kao/bin/python
rm -rf /tmp/sbom
