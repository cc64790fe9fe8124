#include "pg/store/temporary_file.h"

#include "pg/base/guard.h"

extern "C" {
#include <storage/fd.h>
#include <utils/wait_event.h>
}

namespace pg {

namespace {

/// On the functions of fd.h and not on those of buffile.h, which write on closing, and so may raise an error where none
/// can be caught: whole blocks come and go here, there is nothing to buffer.
class VirtualFile : public syncer::TemporaryFile {
public:
    VirtualFile() : file_(guard([] { return OpenTemporaryFile(true); })) {}
    ~VirtualFile() override { FileClose(file_); } // raises no error
    VirtualFile(const VirtualFile &) = delete;
    VirtualFile &operator=(const VirtualFile &) = delete;

    void append(const void *bytes, size_t size) override {
        guard([&] {
            auto *const text = static_cast<char *>(const_cast<void *>(bytes));
            const auto amount = static_cast<int>(size);
            if (FileWrite(file_, text, amount, static_cast<off_t>(size_), WAIT_EVENT_BUFFILE_WRITE) != amount)
                ereport(ERROR, (errcode_for_file_access(),
                                errmsg("could not write to temporary file \"%s\": %m", FilePathName(file_))));
        });
        size_ += size;
    }

    void read(uint64_t offset, void *bytes, size_t size) override {
        guard([&] {
            const auto amount = static_cast<int>(size);
            const auto done = static_cast<int>(FileRead(file_, static_cast<char *>(bytes), amount,
                                                        static_cast<off_t>(offset), WAIT_EVENT_BUFFILE_READ));
            if (done < 0)
                ereport(ERROR, (errcode_for_file_access(),
                                errmsg("could not read temporary file \"%s\": %m", FilePathName(file_))));
            if (done != amount)
                ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                                errmsg("could not read temporary file \"%s\": read %d of %d bytes", FilePathName(file_),
                                       done, amount)));
        });
    }

private:
    File file_;
    uint64_t size_ = 0;
};

} // namespace

std::unique_ptr<syncer::TemporaryFile> open_temporary_file() {
    return std::make_unique<VirtualFile>();
}

} // namespace pg
