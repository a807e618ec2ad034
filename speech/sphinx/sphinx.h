#ifndef PARLEY_SPHINX_H
#define PARLEY_SPHINX_H

#include <pocketsphinx.h>
#include <sphinxbase/fe.h>
#include <sphinxbase/ngram_model.h>

/* Cepstral coefficients of the acoustic model's features. */
#define PARLEY_CEPSTRA 13

ps_decoder_t *parley_open(const char *hmm, const char *dict);
int parley_add_word(ps_decoder_t *ps, const char *word, const char *phones);
ngram_model_t *parley_load_model(ps_decoder_t *ps, const char *path);
int parley_set_model(ps_decoder_t *ps, const char *name, ngram_model_t **models,
                     char **names, const float32 *weights, int n);
void parley_expected(ps_decoder_t *ps, mfcc_t *mean);
int parley_begin(ps_decoder_t *ps, const char *search, const mfcc_t *mean);
int parley_feed(ps_decoder_t *ps, mfcc_t *cepstra, int frames);

fe_t *parley_fe_open(ps_decoder_t *ps);
int parley_fe_process(fe_t *fe, const int16 *samples, size_t n, mfcc_t *cepstra, int room);
int parley_fe_end(fe_t *fe, mfcc_t *cepstra);

#endif
