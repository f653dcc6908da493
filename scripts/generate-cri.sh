#!/bin/sh
# Makes src/cri/generated/ from src/cri/proto/ (needs protoc: Debian package protobuf-compiler). Run with `make generate`.
set -eu
cd "$(dirname "$0")/.."
rm -rf src/cri/generated && mkdir -p src/cri/generated
protoc --plugin=node_modules/.bin/protoc-gen-ts_proto --ts_proto_out=src/cri/generated -I src/cri/proto \
  --ts_proto_opt=forceLong=bigint,enumsAsLiterals=true,importSuffix=.ts,outputServices=false,outputJsonMethods=false,unrecognizedEnum=false,esModuleInterop=true,outputTypeAnnotations=false,useOptionals=none \
  cri.proto containerd-events.proto containerd-content.proto containerd-tasks.proto
