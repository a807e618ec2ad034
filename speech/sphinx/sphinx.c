//go:build pocketsphinx

#include "sphinx.h"

#include <sphinxbase/cmn.h>
#include <sphinxbase/err.h>
#include <sphinxbase/feat.h>

ps_decoder_t *parley_open(const char *hmm, const char *dict) {
    /* PocketSphinx logs hundreds of lines per start to standard error; what
     * goes wrong is told by return values. */
    err_set_logfp(NULL);
    cmd_ln_t *config = cmd_ln_init(NULL, ps_args(), TRUE,
        "-hmm", hmm,
        "-dict", dict,
        /* "live" takes the mean that is set before the utterance. */
        "-cmn", "live",
        NULL);
    if (config == NULL)
        return NULL;
    ps_decoder_t *ps = ps_init(config);
    cmd_ln_free_r(config);
    return ps;
}

int parley_add_word(ps_decoder_t *ps, const char *word, const char *phones) {
    char *known = ps_lookup_word(ps, word);
    if (known != NULL) {
        ckd_free(known);
        return 0;
    }
    return ps_add_word(ps, word, phones, FALSE);
}

ngram_model_t *parley_load_model(ps_decoder_t *ps, const char *path) {
    return ngram_model_read(ps_get_config(ps), path, NGRAM_AUTO, ps_get_logmath(ps));
}

int parley_set_model(ps_decoder_t *ps, const char *name, ngram_model_t **models,
                     char **names, const float32 *weights, int n) {
    ngram_model_t *set = ngram_model_set_init(ps_get_config(ps), models, names, weights, n);
    if (set == NULL)
        return -1;
    /* The set frees its members when it goes; the caller keeps them. */
    for (int i = 0; i < n; i++)
        ngram_model_retain(models[i]);
    ngram_model_set_interp(set, NULL, NULL);
    int rc = ps_set_lm(ps, name, set);
    ngram_model_free(set);
    return rc;
}

void parley_expected(ps_decoder_t *ps, mfcc_t *mean) {
    cmn_live_get(ps_get_feat(ps)->cmn_struct, mean);
}

int parley_begin(ps_decoder_t *ps, const char *search, const mfcc_t *mean) {
    if (ps_set_search(ps, search) < 0)
        return -1;
    cmn_live_set(ps_get_feat(ps)->cmn_struct, mean);
    return ps_start_utt(ps);
}

/* Frames go to PocketSphinx in batches of this many, as rows of pointers. */
#define BATCH 64

int parley_feed(ps_decoder_t *ps, mfcc_t *cepstra, int frames) {
    mfcc_t *rows[BATCH];
    while (frames > 0) {
        int n = frames < BATCH ? frames : BATCH;
        for (int i = 0; i < n; i++)
            rows[i] = cepstra + i * PARLEY_CEPSTRA;
        if (ps_process_cep(ps, rows, n, FALSE, FALSE) < 0)
            return -1;
        cepstra += n * PARLEY_CEPSTRA;
        frames -= n;
    }
    return 0;
}

fe_t *parley_fe_open(ps_decoder_t *ps) {
    fe_t *fe = fe_init_auto_r(ps_get_config(ps));
    if (fe != NULL && fe_get_output_size(fe) != PARLEY_CEPSTRA) {
        fe_free(fe);
        return NULL;
    }
    return fe;
}

/* Returns the number of frames written to cepstra, which has room for room of
 * them: enough for all of the samples. */
int parley_fe_process(fe_t *fe, const int16 *samples, size_t n, mfcc_t *cepstra, int room) {
    int frames = 0;
    while (n > 0 && frames < room) {
        mfcc_t *rows[BATCH];
        int32 batch = room - frames < BATCH ? room - frames : BATCH;
        for (int i = 0; i < batch; i++)
            rows[i] = cepstra + (frames + i) * PARLEY_CEPSTRA;
        size_t before = n;
        if (fe_process_frames(fe, &samples, &n, rows, &batch, NULL) < 0)
            return -1;
        if (batch == 0 && n == before)
            break;
        frames += batch;
    }
    return frames;
}

int parley_fe_end(fe_t *fe, mfcc_t *cepstra) {
    int32 frames = 0;
    if (fe_end_utt(fe, cepstra, &frames) < 0)
        return -1;
    return frames;
}
