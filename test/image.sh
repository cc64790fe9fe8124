# shellcheck shell=bash
# ./package image: builds container/Containerfile and the receiver's image with buildah, and uses them. Sourced by
# package, after chroot.sh.
#
# No registry is asked: the base image is the same base system as the chroots'. It knows this machine's mirrors and
# certificates, so these images are for nobody else, and go away with the storage.

IMAGE_PACKAGES=(buildah curl iproute2 openssl procps)

# package_image MAJOR: with the sandbox of ./package deb.
package_image() {
    local context=$T/context/root/kombo_sync sandbox=$ROOT/dist/$1/test needs base container
    package_built "$1" || return 1
    mkdir -p "$T/context/root" && chroot_tree "$T/context" && readarray -t needs <"$sandbox/packages" &&
        base=$(image_buildah from --name base scratch) &&
        chroot_fresh "${SUITES[$1]}" "$(image_buildah mount base)" &&
        image_buildah commit -q --rm base kombo_base &&
        image_build --build-arg PG_MAJOR="$1" -f "$context/container/Containerfile" -t kombo_sync "$context" &&
        image_build -t kombo_receiver "$context/examples/python" || return 1
    # The client has the sandbox, and connects from outside of the database's container.
    for container in database:kombo_sync client:kombo_sync receiver:kombo_receiver; do
        image_buildah from --pull-never --name "${container%:*}" "localhost/${container#*:}" || return 1
    done
    image_buildah run --user root client -- apt-get -q update &&
        image_buildah run --user root client -- apt-get -qy --no-install-recommends install "${needs[@]}" &&
        image_buildah copy -q client "$sandbox/kombo-sandbox" /usr/local/bin/ || return 1
    image_sizes
    (cd "$context" && image_namespaces unshare --net test/package/image.sh)
}

# image_build OPTION…: Docker's format has a HEALTHCHECK.
image_build() {
    image_buildah build --format docker --pull=never --build-arg BASE=localhost/kombo_base "$@"
}

image_sizes() {
    image_buildah images --format '{{.Name}} {{.Size}}' && du -sm "$T/storage"
}

image_buildah() {
    image_namespaces buildah "$@"
}

# Nothing stays mounted or running.
image_namespaces() {
    mkdir -p "$T/storage/tmp"
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$T/storage/root" "$T/storage/run" \
        >"$T/storage/storage.conf"
    CONTAINERS_STORAGE_CONF=$T/storage/storage.conf BUILDAH_ISOLATION=chroot TMPDIR=$T/storage/tmp \
        chroot_namespaces "$@"
}
