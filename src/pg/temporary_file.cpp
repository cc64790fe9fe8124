#include "pg/temporary_file.h"

#include "pg/guard.h"

extern "C" {
#include <storage/buffile.h>
}

namespace pg {

namespace {

class BufferedFile : public syncer::TemporaryFile {
public:
    BufferedFile() {
        guard([&] {
            MemoryContextSwitchTo(TopMemoryContext);
            file_ = BufFileCreateTemp(true);
        });
    }
    ~BufferedFile() override { BufFileClose(file_); }
    BufferedFile(const BufferedFile &) = delete;
    BufferedFile &operator=(const BufferedFile &) = delete;

    void append(const void *bytes, size_t size) override {
        seek(size_);
        guard([&] { BufFileWrite(file_, const_cast<void *>(bytes), size); });
        size_ += size;
    }

    void read(uint64_t offset, void *bytes, size_t size) override {
        seek(offset);
        guard([&] {
            if (BufFileRead(file_, bytes, size) != size)
                ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from temporary file: %m")));
        });
    }

private:
    void seek(uint64_t offset) {
        guard([&] {
            if (BufFileSeek(file_, 0, static_cast<off_t>(offset), SEEK_SET) != 0)
                ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in temporary file: %m")));
        });
    }

    BufFile *file_ = nullptr;
    uint64_t size_ = 0;
};

} // namespace

std::unique_ptr<syncer::TemporaryFile> open_temporary_file() {
    return std::make_unique<BufferedFile>();
}

} // namespace pg
