// Crops of pictures that lie on the card, turned and scaled: to the bit what mtcool_data::Change cuts on the host.
#include "device.cuh"

struct Cut {
    double center_x, center_y;
    // The matrix that maps an offset from the crop's centre to an offset in the source, row by row.
    double xx, xy, yx, yy;
    Size height, width, source_height, source_width;
};

struct Place {
    double x, y;
};

// Where the centre of pixel (row, column) of the crop lies in the source; products and sums are rounded one by one, as on the host.
__device__ inline Place place_of(const Cut& cut, Size row, Size column) {
    double dy = (double)row + 0.5 - (double)cut.height / 2.0, dx = (double)column + 0.5 - (double)cut.width / 2.0;
    double x = __dadd_rn(cut.center_x, __dmul_rn(cut.xy, dy)), y = __dadd_rn(cut.center_y, __dmul_rn(cut.yy, dy));
    return {__dadd_rn(x, __dmul_rn(cut.xx, dx)), __dadd_rn(y, __dmul_rn(cut.yx, dx))};
}

__device__ inline bool is_inside(const Cut& cut, long long x, long long y) {
    return x >= 0 && y >= 0 && x < (long long)cut.source_width && y < (long long)cut.source_height;
}

// Channel `channel` of a pixel after the change of levels [256, 3]; beyond the picture it is black.
__device__ inline float level_at(const unsigned char* pixels, const float* levels, const Cut& cut, long long x, long long y,
                                 int channel) {
    int value = is_inside(cut, x, y) ? pixels[3 * (y * (long long)cut.source_width + x) + channel] : 0;
    return levels[3 * value + channel];
}

__device__ inline float between(float a, float b, float share) { return __fadd_rn(a, __fmul_rn(share, __fadd_rn(b, -a))); }

// crop [3, H, W] of pixels [H', W', 3], bilinear.
extern "C" __global__ void cut_picture(const unsigned char* pixels, const float* levels, float* crop, Cut cut, Size count) {
    Size i = position();
    if (i >= count) return;
    Size column = i % cut.width, row = i / cut.width % cut.height;
    int channel = (int)(i / (cut.width * cut.height));
    Place place = place_of(cut, row, column);
    double x = place.x - 0.5, y = place.y - 0.5;
    long long left = (long long)floor(x), top = (long long)floor(y);
    float right_share = (float)(x - (double)left), bottom_share = (float)(y - (double)top);
    float a = level_at(pixels, levels, cut, left, top, channel);
    // Exactly on a pixel the neighbours have no influence, whatever they are.
    if (right_share == 0.0f && bottom_share == 0.0f) {
        crop[i] = a;
        return;
    }
    float b = level_at(pixels, levels, cut, left + 1, top, channel), c = level_at(pixels, levels, cut, left, top + 1, channel);
    float d = level_at(pixels, levels, cut, left + 1, top + 1, channel);
    crop[i] = between(between(a, b, right_share), between(c, d, right_share), bottom_share);
}
REGISTER(cut_picture)

// crop [planes, H, W]: the value that each of the tables [planes, 256] has for the label [H', W'] at a pixel's place, or for `outside`.
extern "C" __global__ void cut_labels(const unsigned char* labels, const unsigned char* tables, unsigned char* crop, Cut cut,
                                      int outside, Size count) {
    Size i = position();
    if (i >= count) return;
    Size column = i % cut.width, row = i / cut.width % cut.height, plane = i / (cut.width * cut.height);
    Place place = place_of(cut, row, column);
    long long x = (long long)floor(place.x), y = (long long)floor(place.y);
    int label = is_inside(cut, x, y) ? labels[y * (long long)cut.source_width + x] : outside;
    crop[i] = tables[256 * plane + label];
}
REGISTER(cut_labels)
