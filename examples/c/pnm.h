/* Reads binary PGM (P5, gray) and PPM (P6, RGB) images of 8 bits a channel: the simplest files that hold pixels. C and C++. */
#ifndef PNM_H
#define PNM_H

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "askd.h"

/* The next number of a header, past blanks and comments; -1 if there is none or it is too large. */
static long pnm_number(FILE *file)
{
    int c = fgetc(file);
    while (isspace(c) || c == '#') {
        if (c == '#')
            while (c != '\n' && c != EOF)
                c = fgetc(file);
        c = fgetc(file);
    }
    long number = isdigit(c) ? 0 : -1;
    for (; isdigit(c); c = fgetc(file)) {
        number = number * 10 + (c - '0');
        if (number > 65535)
            return -1;
    }
    return number; /* and the one blank after it is read, too */
}

/* Reads the image at `path`; its pixels are the caller's to free. NULL, or what is wrong with the file. */
static const char *pnm_read(const char *path, askd_image *image, uint8_t **pixels)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return "cannot open";
    const char *wrong = NULL;
    uint8_t *bytes = NULL;
    int p = fgetc(file), kind = fgetc(file);
    long width = pnm_number(file), height = pnm_number(file), largest = pnm_number(file);
    size_t size = 0;
    if (p != 'P' || (kind != '5' && kind != '6') || width < 1 || height < 1 || largest != 255) {
        wrong = "expected a binary PGM or PPM file (P5 or P6) with a largest value of 255";
    } else {
        size = (size_t)width * (size_t)height * (kind == '6' ? 3 : 1);
        bytes = (uint8_t *)malloc(size);
        if (!bytes)
            wrong = "out of memory";
        else if (fread(bytes, 1, size, file) != size)
            wrong = "ends before its last pixel";
    }
    fclose(file);
    if (wrong) {
        free(bytes);
        return wrong;
    }
    *pixels = bytes;
    image->pixels = bytes;
    image->size = size;
    image->height = (size_t)height;
    image->width = (size_t)width;
    image->format = kind == '6' ? ASKD_PIXEL_FORMAT_RGB8 : ASKD_PIXEL_FORMAT_GRAY8;
    return NULL;
}

#endif
