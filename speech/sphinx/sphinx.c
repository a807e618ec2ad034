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
        /* The mean of the whole utterance is not known while it is spoken. */
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

void parley_get_mean(ps_decoder_t *ps, mfcc_t *mean) {
    cmn_live_get(ps_get_feat(ps)->cmn_struct, mean);
}

int parley_begin(ps_decoder_t *ps, const char *search, const mfcc_t *mean) {
    if (ps_set_search(ps, search) < 0)
        return -1;
    cmn_live_set(ps_get_feat(ps)->cmn_struct, mean);
    return ps_start_utt(ps);
}
